FROM alpine
ADD <<EOF /h
added
EOF
