"""The commands, one file each; each has `execute(words)`, which raises what `dartboard.errors` has."""
