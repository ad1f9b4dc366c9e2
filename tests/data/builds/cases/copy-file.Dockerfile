FROM alpine
COPY a.txt /a.txt
