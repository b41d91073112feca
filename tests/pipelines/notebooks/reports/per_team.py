# %% [markdown]
# # One team
#
# It says for which team and slot it was made.

# %% tags=["parameters"]
team: str = ""  # the team
at: str = ""  # the slot
seconds: float = 0.0  # how long it takes (0 to 600)

# %%
import time

print(f"made for {team} at {at}")
time.sleep(seconds)
