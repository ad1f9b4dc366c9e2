FROM alpine
RUN <<EOF
#!/bin/sh -e
echo "$0" > /zero
EOF
