FROM alpine
RUN d=/; for i in 1 2 3 4 5; do d=$d/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done; mkdir -p $d && echo 1 > $d/file && ln -s $d/file /long
