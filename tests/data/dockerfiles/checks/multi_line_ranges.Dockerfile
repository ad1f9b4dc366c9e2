FROM scratch
ENV a=$x \
    b=1 \
    # comment
    c=$y
CMD first \
  second
CMD third
