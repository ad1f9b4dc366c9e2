FROM alpine
ARG A=1
ARG B=${A}2
ARG B2="$B"3
RUN echo $B2 > /b
