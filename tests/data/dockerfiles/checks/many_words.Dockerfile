FROM scratch
ENV A_B=1 \
    TOKEN=2 \
    X=$TOKE
LABEL TOKEN=1
