FROM alpine
ENV A=1 B="two words" C=three\ words D='single $A' E="double $A"
ENV F $A and more   text
ENV G="a\"b" H='a"b' I=a\\b
RUN echo "$A|$B|$C|$D|$E|$F|$G|$H|$I" > /env
