FROM alpine
HEALTHCHECK CMD wget -q http://localhost/ || exit 1
