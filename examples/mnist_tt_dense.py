"""The classic network on MNIST, its large dense layer a tensor train: 60 times fewer weights.

python examples/mnist_tt_dense.py --data DIR --epochs 5

DIR holds the four files of MNIST. It is the network of mnist_cnn.py, whose 3136 x 1024 weights are
a matrix product operator of 55,200 numbers here.
"""

from __future__ import annotations

import argparse

import numpy as np

from tensornet import nn
from tensornet.nn.data import load_mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="the folder with the files of MNIST")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--plot", default="mnist_tt_dense.png", help="where to draw the history")
    args = parser.parse_args()
    try:
        (images, labels), test = load_mnist(args.data)
    except FileNotFoundError as error:
        parser.error(f"{error} (give their folder with --data)")

    def pixels(x, y):  # batch by batch, so that all images stay bytes in memory
        return np.multiply(x[..., None], 1 / 255, dtype=np.float32), y

    train = nn.Dataset.from_arrays(images, labels).shuffle(None, seed=0).batch(64).map(pixels)
    test = nn.Dataset.from_arrays(*test).batch(250).map(pixels)

    model = nn.Sequential(
        [
            nn.Conv2D(32, 5, padding="same", activation="relu"),
            nn.MaxPool2D(2),
            nn.Conv2D(64, 5, padding="same", activation="relu"),
            nn.MaxPool2D(2),
            nn.Flatten(),
            nn.DenseMPO((4, 8, 4, 8), bond_dim=24, inputs=(7, 8, 7, 8), activation="relu"),
            nn.Dropout(0.4),
            nn.Dense(10),
        ],
        seed=0,
    )
    print(model.summary((None, 28, 28, 1)))
    # the rate falls to nothing, so that the last epoch settles
    steps = args.epochs * len(train)
    model.compile(nn.Adam(nn.schedules.CosineDecay(1e-3, max(1, steps))), metrics=["accuracy"])
    history = model.fit(train, epochs=args.epochs, validation_data=test)
    _, accuracy = model.evaluate(test)

    print(f"parameters: {model.count_parameters():,}")
    print(f"seconds: {history.seconds:.1f}")
    try:
        history.plot(args.plot)
    except ImportError as error:
        print(f"no plot: {error}")
    print(f"accuracy: {accuracy:.4f}")
    print(f"{history.samples_per_second:.0f} images/s")


if __name__ == "__main__":
    main()
