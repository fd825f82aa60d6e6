"""A matrix product state that reads MNIST: every image is one contraction.

python examples/mnist_mps.py --data DIR --epochs 10

DIR holds the four files of MNIST. The images, averaged to 14 x 14 pixels, are the vectors that the
matrices of a chain of 196 sites are contracted with.
"""

from __future__ import annotations

import argparse

import numpy as np

from tensornet import nn
from tensornet.nn.data import load_mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="the folder with the files of MNIST")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--plot", default="mnist_mps.png", help="where to draw the history")
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
            nn.AveragePool2D(2),
            nn.MPSClassifier(10, bond_dim=20),
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
