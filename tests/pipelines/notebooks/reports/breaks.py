# %% [markdown]
# # A report that can break
#
# Each way of breaking is a value of its one parameter.

# %% tags=["parameters"]
how: str = "no"  # no, raise, kill or sleep

# %%
import os
import signal
import time

print("the first cell ran")

# %%
if how == "raise":
    message = "no such queue\nand a second line"
    raise LookupError(message)
if how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "sleep":
    time.sleep(60)
