from typing import TypedDict

class Info(TypedDict):
    isa: str
    available_isas: list[str]
    l1d: int | None
    l2: int | None
    l3: int | None

def trim() -> None: ...
def info() -> Info: ...
