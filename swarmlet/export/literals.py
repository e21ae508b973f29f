"""Words that mean what they say: in environment variables, programs, arguments and commands of probes Kubernetes
replaces `$(NAME)` by a variable, and `$$` by `$`. Source: its third_party/forked/golang/expansion; for probes, whose
documentation does not tell it, `runProbe` of the kubelet."""

from collections.abc import Iterable


def literal(text: str) -> str:
    return text.replace("$", "$$")


def literals(words: Iterable[str]) -> list[str]:
    return [literal(word) for word in words]
