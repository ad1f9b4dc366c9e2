# escape=`
FROM alpine
RUN echo a `
  && echo 'C:\x' > /c
ENV A=x`y B=`"q
