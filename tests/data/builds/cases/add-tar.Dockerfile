FROM alpine
ADD plain.tar /t
