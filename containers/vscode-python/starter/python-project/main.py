"""Says hello to whoever is named. To run it, open a terminal (menu View, Terminal): python main.py Ada"""

import sys


def greeting(name: str) -> str:
    return f"Hello, {name}!"


if __name__ == "__main__":
    print(greeting(sys.argv[1] if len(sys.argv) > 1 else "world"))
