FROM scratch
ENV a b
ENV a=b
LABEL x y z
LABEL "x"=y
