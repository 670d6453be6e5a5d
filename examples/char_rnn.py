"""A recurrent network that learns to write, letter by letter (Karpathy's char-rnn, after Graves, 2013).

    python examples/char_rnn.py                  a few minutes, on this project's documentation
    python examples/char_rnn.py --text FILE      on a text of your own
    python examples/char_rnn.py --tiny           a few seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse

from text import Text

nn, F, optim = torch.nn, torch.nn.functional, torch.optim


class CharRNN(nn.Module):
    """Letters in, scores for the next letter out, and the state to go on from."""

    def __init__(self, letters, hidden=256, layers=2):
        super().__init__()
        self.embedding = nn.Embedding(letters, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, letters)

    def forward(self, x, state=None):
        h, state = self.lstm(self.embedding(x), state)
        return self.output(h), state


@torch.no_grad()
def sample(model, text, start, length, temperature=0.8):
    """Continue ``start``: draw a letter, feed it back, and so on."""
    model.eval()
    logits, state = model(torch.tensor([text.encode(start)]))
    written = []
    for _ in range(length):
        probabilities = F.softmax(logits[0, -1] / temperature, dim=0)
        letter = torch.multinomial(probabilities, 1)
        written.append(letter.item())
        logits, state = model(letter.view(1, 1), state)
    return start + text.decode(written)


def main():
    parser = argparse.ArgumentParser(description="An LSTM that writes.")
    parser.add_argument("--text", help="the file to learn from")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--length", type=int, default=64, help="letters that a gradient reaches back")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="little text, few units: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text = Text(args.text, most=4000 if args.tiny else None)
    batch, length, hidden, layers, epochs, lr = (
        (8, 25, 48, 1, 3, 1e-2) if args.tiny else (32, args.length, 256, 2, args.epochs, 2e-3)
    )
    # The text as `batch` long columns, read side by side: each step goes on where the one before it stopped.
    ids = torch.tensor(text.ids)
    columns = ids[: (len(ids) - 1) // batch * batch].view(batch, -1)
    targets = ids[1 : columns.numel() + 1].view(batch, -1)

    model = CharRNN(len(text), hidden, layers)
    optimizer = optim.Adam(model.parameters(), lr=lr)
    print(f"{len(ids)} letters, {len(text)} of them different")
    for epoch in range(1, epochs + 1):
        model.train()
        state = None
        for step, at in enumerate(range(0, columns.size(1) - length, length)):
            if state is not None:
                state = tuple(s.detach() for s in state)  # the gradient does not reach further back
            logits, state = model(columns[:, at : at + length], state)
            loss = F.cross_entropy(logits.reshape(-1, len(text)), targets[:, at : at + length].reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 5 == 0:
                print(f"epoch {epoch} step {step:3}  loss {loss.item():.4f}")
    print(sample(model, text, "The ", 200))


if __name__ == "__main__":
    main()
