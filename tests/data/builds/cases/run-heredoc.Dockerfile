FROM alpine
RUN <<EOF
echo "one $HOME" > /one
cat > /two <<INNER
inner
INNER
EOF
