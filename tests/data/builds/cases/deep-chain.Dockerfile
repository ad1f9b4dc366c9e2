FROM alpine AS s0
RUN echo 0 > /0
FROM s0 AS s1
RUN echo 1 > /1
FROM s1 AS s2
RUN echo 2 > /2
FROM s2 AS s3
RUN echo 3 > /3
FROM s3
RUN cat /0 /1 /2 /3 > /all
