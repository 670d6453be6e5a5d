"""Classify handwritten digits with a small convolutional network.

    python examples/mnist_cnn.py            a few minutes
    python examples/mnist_cnn.py --tiny     a few seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse

from digits import load

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
DataLoader, TensorDataset = torch.utils.data.DataLoader, torch.utils.data.TensorDataset


class Net(nn.Module):
    """Two convolutions see strokes and corners; two linear layers decide which digit they make."""

    def __init__(self, channels=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(2 * channels)
        self.dropout = nn.Dropout(0.25)
        self.fc1 = nn.Linear(2 * channels * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)  # [B, C, 14, 14]
        x = F.max_pool2d(F.relu(self.norm(self.conv2(x))), 2)  # [B, 2C, 7, 7]
        x = torch.flatten(x, 1)
        x = self.dropout(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


def train(model, loader, optimizer, epoch):
    model.train()
    for step, (images, labels) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(images), labels)
        loss.backward()
        optimizer.step()
        if step % 5 == 0:
            print(f"epoch {epoch} step {step:3}  loss {loss.item():.4f}")


def test(model, loader):
    model.eval()
    loss, correct, count = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            output = model(images)
            loss += F.nll_loss(output, labels, reduction="sum").item()
            correct += (output.argmax(dim=1) == labels).sum().item()
            count += len(labels)
    print(f"test: average loss {loss / count:.4f}, accuracy {correct}/{count} ({100 * correct / count:.1f} %)")


def main():
    parser = argparse.ArgumentParser(description="A convolutional network on digits.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="few images, few channels: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    count, channels = (640, 4) if args.tiny else (10_000, 16)
    epochs, lr = (2, 1e-2) if args.tiny else (args.epochs, args.lr)

    images, labels = (torch.from_numpy(a) for a in load(count, seed=args.seed))
    cut = count * 4 // 5
    train_loader = DataLoader(TensorDataset(images[:cut], labels[:cut]), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(TensorDataset(images[cut:], labels[cut:]), batch_size=256)

    model = Net(channels)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {cut} images to learn from")
    for epoch in range(1, epochs + 1):
        train(model, train_loader, optimizer, epoch)
        test(model, test_loader)
        scheduler.step()


if __name__ == "__main__":
    main()
