FROM alpine
RUN mkdir /m && for i in $(seq 1 300); do echo $i > /m/$i; done
RUN for i in $(seq 1 2 300); do rm /m/$i; done
