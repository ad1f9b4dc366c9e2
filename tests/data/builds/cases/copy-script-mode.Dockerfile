FROM alpine
COPY script.sh locked /s/
