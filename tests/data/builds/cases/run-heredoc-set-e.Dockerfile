FROM alpine
SHELL ["/bin/sh", "-ec"]
RUN <<EOF
false || true
echo on > /on
EOF
