FROM scratch
ENV $k=1
LABEL a.$k=2
