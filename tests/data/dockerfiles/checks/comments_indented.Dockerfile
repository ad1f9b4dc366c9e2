# check=experimental=all

FROM scratch
  # wrong
  ARG a=1
