FROM alpine
RUN echo a \
  && echo b \
# comment
  && echo c > /c
