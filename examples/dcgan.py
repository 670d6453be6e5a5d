"""A deep convolutional GAN (Radford, Metz and Chintala, 2016): two networks, one of which forges digits.

    python examples/dcgan.py            some minutes
    python examples/dcgan.py --tiny     some seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse

from digits import load

nn, optim = torch.nn, torch.optim
DataLoader, TensorDataset = torch.utils.data.DataLoader, torch.utils.data.TensorDataset


def generator(noise, features):
    """From noise [B, noise, 1, 1] to an image [B, 1, 28, 28] between -1 and 1; every step doubles the size, about."""
    return nn.Sequential(
        nn.ConvTranspose2d(noise, 4 * features, 4, 1, 0, bias=False),  # 4 x 4
        nn.BatchNorm2d(4 * features),
        nn.ReLU(),
        nn.ConvTranspose2d(4 * features, 2 * features, 3, 2, 1, bias=False),  # 7 x 7
        nn.BatchNorm2d(2 * features),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * features, features, 4, 2, 1, bias=False),  # 14 x 14
        nn.BatchNorm2d(features),
        nn.ReLU(),
        nn.ConvTranspose2d(features, 1, 4, 2, 1, bias=False),  # 28 x 28
        nn.Tanh(),
    )


def discriminator(features):
    """From an image to one number [B]: how real it looks, before the sigmoid."""
    return nn.Sequential(
        nn.Conv2d(1, features, 4, 2, 1, bias=False),  # 14 x 14
        nn.LeakyReLU(0.2),
        nn.Conv2d(features, 2 * features, 4, 2, 1, bias=False),  # 7 x 7
        nn.BatchNorm2d(2 * features),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * features, 4 * features, 3, 2, 1, bias=False),  # 4 x 4
        nn.BatchNorm2d(4 * features),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * features, 1, 4, 1, 0, bias=False),  # 1 x 1
        nn.Flatten(0),
    )


def weights_init(module):
    """The paper's initial weights: N(0, 0.02)."""
    name = module.__class__.__name__
    if "Conv" in name:
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif "BatchNorm" in name:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def main():
    parser = argparse.ArgumentParser(description="A DCGAN on digits.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="few images, few features: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    count, features, noise = (320, 8, 16) if args.tiny else (10_000, 32, 100)
    epochs, batch, lr = (2, 32, 1e-3) if args.tiny else (args.epochs, args.batch_size, args.lr)

    images, _ = load(count, seed=args.seed)
    loader = DataLoader(TensorDataset(torch.from_numpy(images) * 2 - 1), batch_size=batch, shuffle=True, drop_last=True)
    G, D = generator(noise, features), discriminator(features)
    G.apply(weights_init)
    D.apply(weights_init)
    criterion = nn.BCEWithLogitsLoss()
    optimizer_d = optim.Adam(D.parameters(), lr=lr, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(G.parameters(), lr=lr, betas=(0.5, 0.999))
    real, fake = torch.ones(batch), torch.zeros(batch)
    fixed = torch.randn(2, noise, 1, 1)

    for epoch in range(1, epochs + 1):
        for step, (x,) in enumerate(loader):
            # The judge: real images are to look real, and forged ones are not. detach() keeps the forger out of it.
            forged = G(torch.randn(batch, noise, 1, 1))
            optimizer_d.zero_grad()
            loss_d = criterion(D(x), real) + criterion(D(forged.detach()), fake)
            loss_d.backward()
            optimizer_d.step()
            # The forger: its images are to look real.
            optimizer_g.zero_grad()
            loss_g = criterion(D(forged), real)
            loss_g.backward()
            optimizer_g.step()
            if step % 5 == 0:
                d, g = loss_d.item(), loss_g.item()
                print(f"epoch {epoch} step {step:3}  loss {d:.4f} of the judge, {g:.4f} of the forger")

    G.eval()
    with torch.no_grad():
        for image in G(fixed).view(-1, 28, 28):
            for row in image[::2].tolist():
                print("".join(" .:-=+*#%@"[min(int(5 * (p + 1)), 9)] for p in row))
            print()


if __name__ == "__main__":
    main()
