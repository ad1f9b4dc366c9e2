FROM alpine
COPY a.txt \
     # comment
     b.txt \
     /d/
