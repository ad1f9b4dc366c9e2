FROM alpine
WORKDIR /w
COPY a.txt sub/
COPY b.txt ./
COPY a.txt ../up.txt
