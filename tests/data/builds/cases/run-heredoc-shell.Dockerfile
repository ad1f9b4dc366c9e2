FROM alpine
RUN <<EOF sh -x
echo ran > /ran
EOF
