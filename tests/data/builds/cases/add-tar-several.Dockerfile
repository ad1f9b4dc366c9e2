FROM alpine
ADD plain.tar zipped.tgz a.txt /t/
