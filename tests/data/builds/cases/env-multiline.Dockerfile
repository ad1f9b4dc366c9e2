FROM alpine
ENV A=1 \
    # a comment within
    B=2 \

    C=3
RUN echo $A$B$C > /abc
