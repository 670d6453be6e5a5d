"""An RNN that reads a string into one vector, and another that writes it from there: copied, or backwards.

Cho et al., 2014 (arXiv:1406.1078), and Sutskever, Vinyals, Le, 2014 (arXiv:1409.3215): the encoder's last state, the
summary, is all that the decoder knows of the string.

    python examples/encoder_decoder.py                      20 letters backwards, a few minutes
    python examples/encoder_decoder.py --task copy          the same string again
    python examples/encoder_decoder.py --tiny               a few seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse

nn, F, optim = torch.nn, torch.nn.functional, torch.optim


class EncoderDecoder(nn.Module):
    """p(y | x) = prod_t p(y_t | y_<t, c), where c is the state in which the encoder has read x."""

    def __init__(self, letters, hidden):
        super().__init__()
        self.start = letters  # what stands before the first letter
        self.embedding = nn.Embedding(letters + 1, hidden)
        self.encoder = nn.LSTM(hidden, hidden)
        self.decoder = nn.LSTM(hidden, hidden)
        self.output = nn.Linear(hidden, letters)

    def summary(self, x):
        """(h, c), each [1, B, H], of strings [T, B]: a point for every string."""
        return self.encoder(self.embedding(x))[1]

    def forward(self, x, y):
        """Scores [T, B, letters] of every letter of y [T, B], where the decoder reads those before it."""
        before = torch.cat([torch.full_like(y[:1], self.start), y[:-1]])
        return self.output(self.decoder(self.embedding(before), self.summary(x))[0])

    @torch.no_grad()
    def write(self, x):
        """The string [T, B] that is the most probable letter by letter."""
        state, letter, written = self.summary(x), torch.full_like(x[:1], self.start), []
        for _ in range(len(x)):
            h, state = self.decoder(self.embedding(letter), state)
            letter = self.output(h).argmax(-1)
            written.append(letter)
        return torch.cat(written)


def strings(letters, length, count):
    """Random strings, [length, count]."""
    return torch.randint(0, letters, (length, count))


def main():
    parser = argparse.ArgumentParser(description="Read a string into a vector, and write it from there.")
    parser.add_argument("--task", choices=("copy", "reverse"), default="reverse")
    parser.add_argument("--length", type=int, default=20)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="short strings of few letters: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    letters, length, hidden, batch, steps = 10, args.length, 128, 128, args.steps
    if args.tiny:
        letters, length, hidden, batch, steps = 4, 4, 64, 64, 400
    model = EncoderDecoder(letters, hidden)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    def target(x):
        return x if args.task == "copy" else x.flip(0)

    for step in range(1, steps + 1):
        # Short strings first: a gradient that need not reach far finds its way sooner (curriculum learning).
        now = min(length, 2 + step * 2 * length // steps)
        x = strings(letters, now, batch)
        loss = F.cross_entropy(model(x, target(x)).flatten(0, 1), target(x).flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % (steps // 20) == 0:
            print(f"step {step}, strings of {now}: loss {loss.item():.4f}")

    x = strings(letters, length, 500)
    right = (model.write(x) == target(x)).float()
    print(f"letters that come back: {right.mean().item():.2%}; whole strings: {right.prod(0).mean().item():.2%}")
    print("string ", "".join(chr(97 + k) for k in x[:, 0].tolist()))
    print("written", "".join(chr(97 + k) for k in model.write(x[:, :1])[:, 0].tolist()))


if __name__ == "__main__":
    main()
