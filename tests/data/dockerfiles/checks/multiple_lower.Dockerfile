from scratch
cmd ["a"]
cmd ["b"]
