FROM alpine
ENV V=value
COPY <<EOF /f
expanded $V ${V:-x} \$V
EOF
COPY <<'EOF' /g
plain $V
EOF
