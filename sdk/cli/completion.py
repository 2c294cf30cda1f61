"""`portside completion`: a script that completes commands, their options and files."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from .console import Result
from .main import COMMANDS

EXAMPLE = """
  portside completion bash > ~/.local/share/bash-completion/completions/portside
  portside completion zsh  > ~/.zfunc/_portside
  portside completion fish > ~/.config/fish/completions/portside.fish
"""
_OPTION = re.compile(r'add_argument\((?:"-\w", )?"(--[a-z-]+)"')
_WORD = re.compile(r'add_parser\("([a-z]+)"')


def arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace) -> Result:
    """The script for that shell."""
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell]({name: words_of(name) for name in COMMANDS})
    return Result({"shell": args.shell, "script": script}, script)


def words_of(command: str) -> list[str]:
    """Options and sub-commands of a command, read from its source: importing it could load a whole engine."""
    source = (Path(__file__).parent / f"{command}.py").read_text(encoding="utf-8")
    return [*dict.fromkeys(_WORD.findall(source)), *dict.fromkeys(_OPTION.findall(source)), "--json", "--help"]


def _bash(words: dict[str, list[str]]) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(held)}" ;;' for name, held in words.items())
    return f"""_portside() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _portside portside"""


def _zsh(words: dict[str, list[str]]) -> str:
    cases = "\n".join(f"    {name}) compadd -- {' '.join(held)}; _files ;;" for name, held in words.items())
    return f"""#compdef portside
if (( CURRENT == 2 )); then
  compadd -- {" ".join(words)}
else
  case $words[2] in
{cases}
  esac
fi"""


def _fish(words: dict[str, list[str]]) -> str:
    lines = [f"complete -c portside -n __fish_use_subcommand -f -a {name} -d '{COMMANDS[name]}'" for name in words]
    for name, held in words.items():
        lines += [_fish_word(name, word) for word in held]
    return "\n".join(lines)


def _fish_word(command: str, word: str) -> str:
    flag = f"-l {word[2:]}" if word.startswith("--") else f"-a {word}"
    return f"complete -c portside -n '__fish_seen_subcommand_from {command}' {flag}"
