# check=experimental=all

# first line
# foo is it
ARG foo=1
# foo is it
# last line
ARG foo=2
FROM scratch
