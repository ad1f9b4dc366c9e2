FROM scratch
RUN <<EOF \

 cat
x

EOF
