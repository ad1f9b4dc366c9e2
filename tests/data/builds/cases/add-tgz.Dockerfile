FROM alpine
ADD zipped.tgz /t/
