"""In which order parts of a program run, so that threads which part meet again.

Threads of a warp that take different sides of a branch run one side after the other. Where they meet again is decided
by an order of the basic blocks: of all groups of threads, the one that stands earliest runs, so that the others wait
for it at the first place that all must pass. For structured programs that place is the branch's immediate
post-dominator, and for others it is at least as early ("SIMD Re-Convergence At Thread Frontiers", Diamos et al., MICRO
2011). The order is a reverse post-order in which whole loops stand before what follows them.
"""

from __future__ import annotations

from collections.abc import Sequence

Edges = Sequence[Sequence[int]]


def reverse_postorder(successors: Edges) -> list[int]:
    """Nodes that node 0 reaches, each before its successors but for those that close a loop."""
    seen, order = [False] * len(successors), []
    stack = [(0, iter(successors[0]))]
    seen[0] = True
    while stack:
        node, following = stack[-1]
        for after in following:
            if not seen[after]:
                seen[after] = True
                stack.append((after, iter(successors[after])))
                break
        else:
            order.append(node)
            stack.pop()
    return order[::-1]


def immediate_dominators(successors: Edges) -> list[int | None]:
    """For each node the last one that every way from node 0 passes before it (Cooper, Harvey and Kennedy 2001)."""
    order = reverse_postorder(successors)
    position = {node: place for place, node in enumerate(order)}
    before: list[list[int]] = [[] for _ in successors]
    for node in order:
        for after in successors[node]:
            before[after].append(node)
    found: list[int | None] = [None] * len(successors)
    found[0] = 0

    def common(a: int, b: int) -> int:
        while a != b:
            while position[a] > position[b]:
                a = found[a] or 0
            while position[b] > position[a]:
                b = found[b] or 0
        return a

    changed = True
    while changed:
        changed = False
        for node in order[1:]:
            known = [p for p in before[node] if found[p] is not None]
            best = known[0]
            for other in known[1:]:
                best = common(best, other)
            if found[node] != best:
                found[node], changed = best, True
    return found


def loops(successors: Edges) -> dict[int, set[int]]:
    """The natural loops: head -> the nodes of the loop."""
    dominators = immediate_dominators(successors)

    def dominates(a: int, b: int) -> bool:
        while b != a and b != 0:
            b = dominators[b] or 0
        return a == b

    before: list[list[int]] = [[] for _ in successors]
    for node in range(len(successors)):
        if dominators[node] is not None:
            for after in successors[node]:
                before[after].append(node)
    found: dict[int, set[int]] = {}
    for node in range(len(successors)):
        if dominators[node] is None:
            continue
        for head in successors[node]:
            if dominates(head, node):
                members = found.setdefault(head, {head})
                waiting = [node]
                while waiting:
                    member = waiting.pop()
                    if member not in members:
                        members.add(member)
                        waiting += before[member]
    return found


def schedule(successors: Edges) -> list[int]:
    """The place of each node in the order in which groups of threads are run (unreachable ones come last)."""
    widened = [list(following) for following in successors]
    for head, members in loops(successors).items():
        exits = sorted({after for member in members for after in successors[member] if after not in members})
        for member in members:
            if head in successors[member]:  # as if each way back could also leave: exits come after the whole loop
                widened[member] += exits
    place = [len(successors)] * len(successors)
    for position, node in enumerate(reverse_postorder(widened)):
        place[node] = position
    return place
