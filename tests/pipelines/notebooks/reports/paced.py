# %% [markdown]
# # A report that takes its time
#
# It says for which slot it was made.

# %% tags=["parameters"]
at: str = ""  # the slot
seconds: float = 0.0  # how long it takes (0 to 600)
broken: str = ""  # a file; while it is there, the report fails
mb: int = 0  # megabytes to hold (0 to 100000)
shout: int = 0  # megabytes to print (0 to 100000)

# %%
import time
from pathlib import Path

print(f"made for {at}")

# %%
until = time.monotonic() + seconds
while time.monotonic() < until:
    time.sleep(0.05)
if broken and Path(broken).exists():
    raise LookupError("it is broken")
held = bytearray(mb * 1_000_000)
if shout:
    print("x" * 1_000_000 * shout)
