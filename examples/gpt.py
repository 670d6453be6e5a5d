"""A small GPT: a transformer that reads letters from left to right and guesses the next (Radford et al., 2018).

    python examples/gpt.py                  some minutes, on this project's documentation
    python examples/gpt.py --text FILE      on a text of your own
    python examples/gpt.py --tiny           a few seconds

Written for PyTorch's names: the next line alone says which library computes.
"""

import tinydl as torch  # or: import torch

# isort: split

import argparse
import math

from text import Text

nn, F, optim = torch.nn, torch.nn.functional, torch.optim


class CausalSelfAttention(nn.Module):
    """Every position asks all earlier ones, in several heads at once."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(x).split(C, dim=2)
        # Each head has its own part of the width: [B, heads, T, C / heads].
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.output(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    """Attention, then a small network for each position; each adds to what passes by."""

    def __init__(self, width, heads, dropout):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, heads, dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(dropout)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """Letters [B, T] in, scores for the next letter [B, T, letters] out."""

    def __init__(self, letters, length, width, heads, layers, dropout):
        super().__init__()
        self.length = length
        self.letter = nn.Embedding(letters, width)
        self.position = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, letters, bias=False)
        self.apply(self.init_weights)
        for name, p in self.named_parameters():  # what adds to the stream starts small, the smaller the deeper
            if name.endswith(("attention.output.weight", "mlp.2.weight")):
                nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * layers))

    def init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, x):
        x = self.letter(x) + self.position(torch.arange(x.size(1)))
        return self.output(self.norm(self.blocks(x)))

    @torch.no_grad()
    def generate(self, x, count, temperature=0.8, top_k=20):
        """Append ``count`` letters to each row, one at a time."""
        self.eval()
        for _ in range(count):
            logits = self(x[:, -self.length :])[:, -1] / temperature
            best, _ = torch.topk(logits, min(top_k, logits.size(-1)))
            logits = logits.masked_fill(logits < best[:, -1:], float("-inf"))
            x = torch.cat([x, torch.multinomial(F.softmax(logits, dim=-1), 1)], dim=1)
        return x


def main():
    parser = argparse.ArgumentParser(description="A small GPT.")
    parser.add_argument("--text", help="the file to learn from")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tiny", action="store_true", help="one small layer, few steps: it ends in seconds")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    text = Text(args.text, most=4000 if args.tiny else None)
    batch, length, width, heads, layers, steps, lr = (
        (8, 24, 32, 2, 1, 60, 1e-2) if args.tiny else (32, 128, 192, 6, 4, args.steps, 1e-3)
    )
    model = GPT(len(text), length, width, heads, layers, dropout=0.0 if args.tiny else 0.1)
    optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.1)
    warmup = steps // 10
    scheduler = optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda t: (t + 1) / warmup if t < warmup else 0.5 * (1 + math.cos(math.pi * (t - warmup) / (steps - warmup))),
    )
    ids = torch.tensor(text.ids)
    print(f"{len(ids)} letters, {sum(p.numel() for p in model.parameters())} parameters")
    model.train()
    for step in range(steps):
        starts = torch.randint(0, len(ids) - length - 1, (batch,)).tolist()
        x = torch.stack([ids[k : k + length] for k in starts])
        y = torch.stack([ids[k + 1 : k + length + 1] for k in starts])
        loss = F.cross_entropy(model(x).view(-1, len(text)), y.view(-1))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        if step % max(steps // 12, 1) == 0:
            print(f"step {step:4}  loss {loss.item():.4f}")
    written = model.generate(torch.tensor([text.encode("The ")]), 40 if args.tiny else 300)
    print(text.decode(written[0].tolist()))


if __name__ == "__main__":
    main()
