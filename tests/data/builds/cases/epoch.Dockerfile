# flags: --build-arg SOURCE_DATE_EPOCH=1700000000
FROM alpine
COPY a.txt /a
