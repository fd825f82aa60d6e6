"""Softmax regression on MNIST: ten linear functions of the pixels, the largest of which wins.

python examples/mnist_softmax.py --data DIR --epochs 20

DIR holds the four files of MNIST. Some 92.5% of the test images are recognised.
"""

from __future__ import annotations

import argparse

import numpy as np

from tensornet import nn
from tensornet.nn.data import load_mnist


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="mnist", help="the folder with the files of MNIST")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--plot", default="mnist_softmax.png", help="where to draw the history")
    args = parser.parse_args()
    try:
        (images, labels), test = load_mnist(args.data)
    except FileNotFoundError as error:
        parser.error(f"{error} (give their folder with --data)")

    def pixels(x, y):  # batch by batch, so that all images stay bytes in memory
        return np.multiply(x, 1 / 255, dtype=np.float32), y

    train = nn.Dataset.from_arrays(images, labels).shuffle(None, seed=0).batch(128).map(pixels)
    test = nn.Dataset.from_arrays(*test).batch(1000).map(pixels)

    model = nn.Sequential([nn.Flatten(), nn.Dense(10)], seed=0)
    model.compile(nn.Adam(1e-3), "sparse_softmax_cross_entropy", ["accuracy"])
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
