FROM alpine
COPY a.txt /x/y/renamed
