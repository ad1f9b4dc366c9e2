FROM alpine
ENV V=env
RUN <<'EOF'
echo "$V" > /v
EOF
