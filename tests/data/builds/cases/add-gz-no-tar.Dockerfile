FROM alpine
ADD a.txt.gz /t/
