"""A variational autoencoder (Kingma and Welling, 2014) that learns to draw digits.

    python examples/vae.py            a few minutes
    python examples/vae.py --tiny     a few seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse

from digits import load

nn, F, optim = torch.nn, torch.nn.functional, torch.optim
DataLoader, TensorDataset = torch.utils.data.DataLoader, torch.utils.data.TensorDataset


class VAE(nn.Module):
    """An image x becomes a Gaussian over z; a z becomes a probability for each pixel."""

    def __init__(self, pixels=784, hidden=400, latent=20):
        super().__init__()
        self.fc1 = nn.Linear(pixels, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.logvar = nn.Linear(hidden, latent)
        self.fc2 = nn.Linear(latent, hidden)
        self.fc3 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h = torch.relu(self.fc1(x))
        return self.mean(h), self.logvar(h)

    def reparameterize(self, mean, logvar):
        # z ~ N(mean, exp(logvar)), written so that the gradient passes to mean and logvar: only the noise is random.
        return mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)

    def decode(self, z):
        return self.fc3(torch.relu(self.fc2(z)))

    def forward(self, x):
        mean, logvar = self.encode(x.flatten(1))
        return self.decode(self.reparameterize(mean, logvar)), mean, logvar


def loss_function(logits, x, mean, logvar):
    """The negative evidence lower bound, in nats for the whole batch."""
    reconstruction = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    # KL(N(mean, exp(logvar)) || N(0, 1)); appendix B of the paper.
    divergence = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
    return reconstruction + divergence


def show(image):
    """An image as text."""
    for row in image[::2].tolist():
        print("".join(" .:-=+*#%@"[min(int(10 * p), 9)] for p in row))


def main():
    parser = argparse.ArgumentParser(description="A variational autoencoder on digits.")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="few images, few units: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    count, hidden, latent = (512, 64, 8) if args.tiny else (10_000, 400, 20)
    epochs, batch, lr = (6, 32, 3e-3) if args.tiny else (args.epochs, args.batch_size, 1e-3)

    images, _ = load(count, seed=args.seed)
    loader = DataLoader(TensorDataset(torch.from_numpy(images)), batch_size=batch, shuffle=True)
    model = VAE(hidden=hidden, latent=latent)
    optimizer = optim.Adam(model.parameters(), lr=lr)

    for epoch in range(1, epochs + 1):
        total = 0.0
        for (x,) in loader:
            optimizer.zero_grad()
            logits, mean, logvar = model(x)
            loss = loss_function(logits, x, mean, logvar)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch:3}  loss {total / count:.2f} nats an image")

    with torch.no_grad():
        for image in torch.sigmoid(model.decode(torch.randn(2, latent))).view(-1, 28, 28):
            show(image)
            print()


if __name__ == "__main__":
    main()
