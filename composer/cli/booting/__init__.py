"""The start of containers when the machine boots: which init systems there are, and what is started."""
