"""The IPVS codec and its two implementations."""
